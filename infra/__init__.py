"""What the pipeline stands on (`platform`), what ops run (`ops`), the `liucun` command, and local engines (`local`)."""
