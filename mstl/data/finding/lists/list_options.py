"""List options: what a user says about how lists are to be read, and where their images are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ListOptions:
    """How lists are to be read.

    Attributes:
        path_column: Header of the column with the paths; None to find it.
        label_column: Header of the column with the labels; None to find it.
        group_column: Header of the column whose values, such as patients, are not to be divided; None for none.
        images: The folder in which the paths start; None for that of each list.
        required: Whether a list without one of these columns is refused; else the column is found, as for None.
    """

    path_column: str | None = None
    label_column: str | None = None
    images: str | None = None
    required: bool = True
    group_column: str | None = None

    def __bool__(self) -> bool:
        return bool(self.path_column or self.label_column or self.images or self.group_column)

    @property
    def names_columns(self) -> bool:
        """Whether a column is named."""
        return bool(self.path_column or self.label_column)

    def over(self, other: "ListOptions") -> "ListOptions":
        """These options, and another's where these leave something open."""
        return ListOptions(
            self.path_column or other.path_column,
            self.label_column or other.label_column,
            self.images or other.images,
            group_column=self.group_column or other.group_column,
        )

    @property
    def given(self) -> str:
        """The command-line options that are set, for messages."""
        flags = {
            "--path-column": self.path_column,
            "--label-column": self.label_column,
            "--group-column": self.group_column,
            "--images": self.images,
        }
        return " and ".join(flag for flag, value in flags.items() if value)


FOUND = ListOptions()  # everything is to be found
