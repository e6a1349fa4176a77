"""Sealed evaluation: a method is fitted and queried in a process of its own that holds what it may see, and nothing else.

The process that evaluates holds the subset, and answers what is asked about the histories of one fit, up to the budget
(`desk`). A sealed process (`inside`) has the labels of the training networks, and histories that ask the other process. It
comes from a `server` that never held any data. Each fit has a process of its own, so nothing is remembered from one fold to
the next. What goes in is pickled; what comes out is JSON, which cannot run code here (`channel`). A sealed process may not
load a subset (`nndynbench.seal`).

This stops whatever a method does to the objects that it is handed, and to anything in its own memory. It does not stop a
program that sets out to read the files of this machine.
"""
