"""The lawful query desk: agency -> identity -> audit -> authorise -> read -> answer.

Not here yet: it is the next capability. Nothing reads records from the store until it is.
"""
