"""Where does a deployed model part from the network that was trained? See diagnose.py.

stage.py, subject.py    what a stage found, and what is examined
examination.py          all stages, in their order
verdict.py, picture.py  what they say together: one sentence, diagnose.json, diagnose.png
images/                 decoded pixels and the network's input: which usual fault explains a difference
weights/                the exported parameters against the checkpoint
network/                the exported model without optimisation, operator by operator
engines/                what Paddle Inference and other engines switch on, one after the other
printed/                what predict and infer print
reprod/                 files of reprod_log
"""
