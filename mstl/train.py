"""``python -m mstl.train``: the command ``mstl train``."""

from mstl.commands.train_command import main

if __name__ == "__main__":
    main(prog_name="python -m mstl.train")
