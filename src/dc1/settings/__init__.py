"""What a deployment chose: the variables with the prefix `DC1_`, by what they are of."""
