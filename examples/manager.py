"""Two processes keep one ledger in a manager, whose objects they use through proxies."""

import argparse

from procession import Manager, Process, get_all_start_methods, set_start_method


def trade(accounts, log, lock, giver, taker, times):
    """Move a coin from one account to another, several times."""
    for _ in range(times):
        with lock:  # both lines, or none
            accounts[giver]["coins"] -= 1
            accounts[taker]["coins"] += 1
    log.append(f"{giver} gave {taker} {times}")


def main():
    with Manager() as manager:
        # Objects in objects: each account is a dictionary in the manager itself.
        accounts = manager.dict({name: manager.dict(coins=100) for name in ("Ann", "Bob")})
        log, lock = manager.list(), manager.Lock()
        orders = [("Ann", "Bob", 30), ("Bob", "Ann", 50)]
        processes = [Process(target=trade, args=(accounts, log, lock, *order)) for order in orders]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        for line in sorted(log):
            print(line)
        print({name: account["coins"] for name, account in accounts.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="forkserver", choices=get_all_start_methods())
    set_start_method(parser.parse_args().method)
    main()
