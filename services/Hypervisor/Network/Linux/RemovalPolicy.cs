namespace Nephos.Hypervisor.Network.Linux;

/// <summary>Decides what of ours that nobody wants is removed now. What this process itself was asked to make and is not asked for any
/// more goes at once; what was left by an earlier life waits, and at most a few go per pass, so that a wrong snapshot does not erase a node.</summary>
/// <remarks>Not thread safe.</remarks>
internal sealed class RemovalPolicy(TimeProvider clock)
{
    /// <summary>How long an object of an earlier life must be unwanted.</summary>
    public static readonly TimeSpan OrphanDelay = TimeSpan.FromSeconds(60);

    /// <summary>Objects removed per pass: removal is slow in the kernel, and new ports wait behind it.</summary>
    public const int RemovalsPerPassMax = 20;

    private readonly HashSet<string> _known = [];
    private readonly Dictionary<string, long> _unwantedSince = [];

    public IReadOnlyCollection<string> Waiting => _unwantedSince.Keys;

    /// <param name="wanted">Keys of what the present plan has.</param>
    /// <param name="unwanted">Keys of what is there and not in the plan.</param>
    /// <param name="more">True when some wait for the next pass although they may go.</param>
    public List<string> Decide(IEnumerable<string> wanted, IReadOnlyCollection<string> unwanted, out bool more)
    {
        _known.UnionWith(wanted);
        foreach (var gone in _unwantedSince.Keys.Except(unwanted).ToList())
        {
            _unwantedSince.Remove(gone);
        }

        var now = clock.GetTimestamp();
        var due = new List<string>();
        foreach (var key in unwanted)
        {
            if (_known.Contains(key))
            {
                due.Add(key);
            }
            else if (!_unwantedSince.TryAdd(key, now) && clock.GetElapsedTime(_unwantedSince[key], now) >= OrphanDelay)
            {
                due.Add(key);
            }
        }

        more = due.Count > RemovalsPerPassMax;
        return due.Count > RemovalsPerPassMax ? due[..RemovalsPerPassMax] : due;
    }

    /// <summary>Forgets an object that was removed.</summary>
    public void Removed(string key)
    {
        _known.Remove(key);
        _unwantedSince.Remove(key);
    }
}
