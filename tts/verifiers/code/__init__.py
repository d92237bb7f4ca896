"""The code verifier: programs that a model wrote, judged by what they do (`verifier.CodeVerifier`)."""
