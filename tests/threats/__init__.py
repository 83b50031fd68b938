"""Hostile and odd submissions, graded by the real command beside honest ones.

`course` writes the small course, `entry` says what an attack is, `points`, `theft`, `denial`, `files`, `tensors` and
`honest` list them, `conftest` hands them in and grades them all at once, `test_attacks` reads what came out.
"""
