"""Jobs: a run in a folder, which a shell script on another machine works through."""
