"""Attacking a guarded endpoint, and saying with intervals how often that works.

Read `campaign` first: it is the order of things. It is given a `Target`, a `Judge` and, where the
guard learns between rounds, a `Retrainer`; it knows none of their makes.
"""
