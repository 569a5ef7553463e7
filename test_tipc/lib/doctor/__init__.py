"""What doctor.sh looks at: examine.py runs the checks. For Python 3.6 and newer, since an old one is a finding, too."""
