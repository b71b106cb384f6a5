"""The doors: HTTP and WebSocket, to the carrier and to the operator."""
