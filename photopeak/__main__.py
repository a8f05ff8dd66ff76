"""`python -m photopeak`: the same as the command, where scripts with a long path in their first line do not start."""

from photopeak.cli import main

if __name__ == "__main__":
    main()
