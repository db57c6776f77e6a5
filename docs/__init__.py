"""The documentation: pages in English and Chinese, and what builds and checks them."""
