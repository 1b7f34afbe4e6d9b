"""Sums, differences, products and quotients of long whole numbers, worked digit by digit as at school.

Every step is an equation of small numbers, so that each can be checked by itself.
"""


def steps(operation: str, left: int, right: int) -> list[str]:
    """The steps that lead to `left operation right`, but the last equation; none for what is known by heart.

    Raises:
        ValueError: another operation, a negative number, a division by zero.
    """
    if min(left, right) < 0 or (operation == "/" and right == 0):
        raise ValueError(f"no steps for {left} {operation} {right}")
    if operation == "-" and left < right:
        return []  # the smaller from the larger, with the sign turned: nothing that a column shows
    if operation == "*" and right > left:
        return steps("*", right, left)
    if max(left, right) < 10:
        return []
    return {"+": _sum, "-": _difference, "*": _product, "/": _quotient}[operation](left, right)


def _sum(left: int, right: int) -> list[str]:
    """From the last digit on; what is carried is added in the next line."""
    lines, carried = [], 0
    while left or right:
        terms = [left % 10, right % 10] + [carried] * (carried > 0)
        total = sum(terms)
        lines.append(f"{' + '.join(map(str, terms))} = {total}.")
        left, right, carried = left // 10, right // 10, total // 10
    return lines


def _difference(left: int, right: int) -> list[str]:
    """From the last digit on; a digit that is too small borrows ten from the next."""
    lines, borrowed = [], 0
    while left:
        upper, lower = left % 10 - borrowed, right % 10
        borrowing = 10 * (upper < lower)
        if borrowed and left % 10:
            lines.append(f"{left % 10} - 1 = {upper}.")
        lines.append(f"{upper + borrowing} - {lower} = {upper + borrowing - lower}.")
        left, right, borrowed = left // 10, right // 10, borrowing // 10
    return lines


def _product(left: int, right: int) -> list[str]:
    """The longer factor times each digit of the shorter, added up one by one."""
    lines, total = [], 0
    for place in range(len(str(right)) - 1, -1, -1):
        if digit := right // 10**place % 10:
            part = digit * 10**place
            lines.append(f"{left} * {part} = {left * part}.")
            if total:
                lines.append(f"{total} + {left * part} = {total + left * part}.")
            total += left * part
    return lines[:-1] if len(lines) == 1 else lines


def _quotient(left: int, right: int) -> list[str]:
    """For each digit of the quotient, the part of the dividend that it takes and what remains."""
    lines, quotient = [], left // right
    for place in range(len(str(quotient)) - 1, -1, -1):
        if digit := quotient // 10**place % 10:
            part = digit * 10**place
            lines += [
                f"{right} * {part} = {right * part}.",
                f"{left} - {right * part} = {left - right * part}.",
            ]
            left -= right * part
    return lines
