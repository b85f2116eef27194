"""Jobs: runs of an experiment as a folder that another machine works through."""
