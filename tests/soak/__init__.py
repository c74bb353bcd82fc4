"""The service killed, stopped and cut off, again and again: nothing lost, nothing done twice."""
