"""Other APIs for conversations, each a pair of pure translations: of a call to chat, and of chat's answer back."""
