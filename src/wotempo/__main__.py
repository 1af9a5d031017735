"""``python -m wotempo``: the same as the console script ``wotempo``."""

from wotempo.command_line.dispatch import main

if __name__ == "__main__":
    main()
