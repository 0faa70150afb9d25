namespace Nephos.StorageEngine.Simulation.Volumes;

/// <summary>What each block may hold, by what writers were told and readers saw.</summary>
/// <remarks>A write that was acknowledged is there, unless the power went before it was made durable; one that was not may be there or not, until a
/// reader saw it or a later one was acknowledged.</remarks>
internal sealed class BlockHistory(int blocks)
{
    private readonly HashSet<int>[] _possible = [.. Enumerable.Range(0, blocks).Select(_ => new HashSet<int> { 0 })];

    // What a power cut may bring back.
    private readonly HashSet<int>[] _worst = [.. Enumerable.Range(0, blocks).Select(_ => new HashSet<int> { 0 })];
    private readonly HashSet<(int Block, int Value)> _pending = [];

    public int Blocks => blocks;

    public void Begins(int block, int value)
    {
        _possible[block].Add(value);
        _worst[block].Add(value);
        _pending.Add((block, value));
        Flushing?.Since.Add((block, value));
    }

    public void IsAcknowledged(int block, int value)
    {
        _pending.Remove((block, value));
        Collapse(block, value);
    }

    /// <summary>The writer is gone or was told no: whether it was written stays open.</summary>
    public void IsUnknown(int block, int value) => _pending.Remove((block, value));

    public void IsSeen(int block, int value)
    {
        if (!_possible[block].Contains(value))
            throw new SimulationException($"Block {block} reads {value}; it can only be {string.Join(", ", _possible[block].Order())}.");
        Collapse(block, value);
    }

    // Only what is on its way may still change it.
    private void Collapse(int block, int value) =>
        _possible[block] = [value, .. _possible[block].Where(other => _pending.Contains((block, other)))];

    private (HashSet<int>[] Then, List<(int Block, int Value)> Since)? Flushing { get; set; }

    public void FlushBegins() => Flushing = ([.. _possible.Select(values => values.ToHashSet())], []);

    public void IsFlushed()
    {
        var (then, since) = Flushing!.Value;
        for (var block = 0; block < blocks; block++) _worst[block] = then[block];
        foreach (var (block, value) in since) _worst[block].Add(value);
        Flushing = null;
    }

    public void FlushEnds() => Flushing = null;

    public void PowerIsLost()
    {
        for (var block = 0; block < blocks; block++) _possible[block].UnionWith(_worst[block]);
    }
}
