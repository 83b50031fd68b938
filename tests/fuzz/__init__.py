"""Whatever a student controls before and around the sandbox, spoiled at random and by number.

`cases` numbers and counts, `mutate` spoils bytes and JSON, `notebooks`, `trees` and `replies` make what is spoiled, and
`starved` reads replies in a process with little memory. `make fuzz` runs ten thousand of each, with a new seed.
"""
