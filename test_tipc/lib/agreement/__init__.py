"""Do an exported model and the script that deploys it compute what the trained network computed?

The parts of agree.py: recordings are read (`recording`), the exported model is run again in strict mode (`exported`),
and three checks compare them: `preprocessing`, `network` (with `printed`), `engine`.
"""
