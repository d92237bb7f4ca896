"""What a client is told where its request is not answered, in OpenAI's words."""

from __future__ import annotations

from typing import Any


class RefusalError(Exception):
    """A request that gets no answer: the HTTP status, why, and which parameter is at fault."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.retry_after = status, param, code, retry_after

    @property
    def content(self) -> dict[str, Any]:
        """The body of the reply."""
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = kinds.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the reply."""
        if self.status == 413:  # what is left of the body is not read
            return {"connection": "close"}
        return {"retry-after": str(self.retry_after)} if self.retry_after else {}
