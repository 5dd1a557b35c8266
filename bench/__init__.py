"""What `make bench` runs: the site under load, beside a bare Flask endpoint on the same machine in the same run."""
