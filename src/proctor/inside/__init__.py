"""What runs beside the student's code, in the sandbox; imports nothing of ours.

`main.py` is started as a file, in a place where the rest of proctor cannot be seen.
"""
