"""``python -m hybridir_mteb.cli``: what ``accelerate launch -m`` starts."""

from hybridir_mteb.cli import main

if __name__ == "__main__":
    main()
