"""A worker, for modules that compute on one."""

from tests.support.rpc_workers import worker

__all__ = ["worker"]
