"""``mstl completion``: let a shell complete commands, options and their values."""

from typing import Literal

import click
from click.shell_completion import get_completion_class

from mstl.commands import shared

SHELLS = ("bash", "zsh", "fish")


@shared.command
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def main(context: click.Context, /, shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the script by which SHELL completes commands, options, choices, names and files.

    \b
    bash  in ~/.bashrc:  eval "$(mstl completion bash)"
    zsh   in ~/.zshrc, after compinit:  eval "$(mstl completion zsh)"
    fish  mstl completion fish > ~/.config/fish/completions/mstl.fish
    """
    completion = get_completion_class(shell)
    print(completion(context.find_root().command, {}, "mstl", "_MSTL_COMPLETE").source(), end="")
