"""Progress bars, in a terminal or a notebook."""

from tqdm.auto import tqdm


def progress_bar(iterable=None, show: bool = True, **options):
    """A tqdm bar; none unless ``show``. TQDM_DISABLE=1 in the environment silences all, which a fixed ``disable=`` would undo."""
    return tqdm(iterable, **options, **({} if show else {"disable": True}))
