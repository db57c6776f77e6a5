"""``python -m mstl.visualize best.ckpt``: the command ``mstl visualize``."""

from mstl.commands.visualize_command import main

if __name__ == "__main__":
    main(prog_name="python -m mstl.visualize")
