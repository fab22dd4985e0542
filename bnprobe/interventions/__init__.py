"""One change of a training that puts a cause to the test a file; made in trials, never in a recording that a person keeps."""
