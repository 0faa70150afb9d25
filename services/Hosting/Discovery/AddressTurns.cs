namespace Nephos.Hosting.Discovery;

/// <summary>Which of several processes is asked first: each in its turn, those that refused a connection lately last.</summary>
public static class AddressTurns
{
    private static int _turn;

    /// <summary>All addresses, in the order to try them.</summary>
    public static IReadOnlyList<Uri> Next(IReadOnlyList<Uri> addresses, Func<Uri, bool> wasRefusedLately)
    {
        if (addresses.Count <= 1)
        {
            return addresses;
        }
        var first = (int)((uint)Interlocked.Increment(ref _turn) % (uint)addresses.Count);
        return [.. addresses.Skip(first).Concat(addresses.Take(first)).OrderBy(address => wasRefusedLately(address) ? 1 : 0)];
    }
}
