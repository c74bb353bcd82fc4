"""The process as a whole: its log, its HTTP listener, its garbage collector, its model."""
