"""The developer's launcher: all of mPanel on one machine."""
