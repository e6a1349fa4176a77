"""Sealed evaluation: a method is fitted and asked in a process of its own that holds what it may see, and nothing else.

The process that evaluates holds the subset and answers what is asked of the histories of one fit, up to the budget (`desk`).
A sealed one (`inside`) has the labels of the training networks, and histories that ask. It comes from a `server`, which
never held any data: one process a fit, so that nothing is remembered from one fold to the next. What goes in is pickled;
what comes out is JSON, which can run nothing here (`channel`). To load a subset inside is refused (`state`).

This stops whatever a method does to the objects that it is handed, and to all that it finds in its own memory. It stops no
program that sets out to read the files of this machine.
"""
