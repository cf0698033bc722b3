"""How the runs of each strategy are made: a module for each way, named in the strategies' table.

A module has the functions of `making.Making`; one whose strategy changes the backbone has those of
`making.BackboneMaking`.
"""
