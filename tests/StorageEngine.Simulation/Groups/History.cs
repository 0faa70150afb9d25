using Nephos.Replication.Groups;

namespace Nephos.StorageEngine.Simulation.Groups;

/// <summary>What was proposed, decided and acknowledged in one run; fails at the first contradiction.</summary>
internal sealed class History
{
    private readonly List<LogEntry> _decided = [];
    private readonly Dictionary<ulong, ulong> _acknowledged = [];

    public int AcknowledgedCount => _acknowledged.Count;

    public int DecidedCount => _decided.Count;

    /// <summary>A replica took in an entry: every replica takes in the same ones, in order, without gaps.</summary>
    public void Applied(ReplicaId replica, ulong before, LogEntry entry)
    {
        if (entry.Position.Sequence != before + 1)
        {
            throw new SimulationException($"{replica} took in {entry.Position} after {before}.");
        }

        if (entry.Position.Sequence == (ulong)_decided.Count + 1)
        {
            _decided.Add(entry);
        }
        else if (_decided[(int)entry.Position.Sequence - 1].Position != entry.Position
            || !_decided[(int)entry.Position.Sequence - 1].Body.Span.SequenceEqual(entry.Body.Span))
        {
            throw new SimulationException($"{replica} took in {entry.Position}, others {_decided[(int)entry.Position.Sequence - 1].Position}.");
        }
    }

    /// <summary>A client was told that its operation is done.</summary>
    public void Acknowledged(ulong operation, ulong sequence)
    {
        if (!_acknowledged.TryAdd(operation, sequence))
        {
            throw new SimulationException($"Operation {operation} was acknowledged twice.");
        }
    }

    public List<ulong> StateAt(ulong sequence) =>
        [.. _decided.Take((int)sequence).Where(e => !e.Body.IsEmpty).Select(e => BitConverter.ToUInt64(e.Body.Span))];

    /// <summary>At the end, everything acknowledged is in the state where it was said to be.</summary>
    public void CheckAcknowledged()
    {
        foreach (var (operation, sequence) in _acknowledged)
        {
            if ((int)sequence > _decided.Count || BitConverter.ToUInt64(_decided[(int)sequence - 1].Body.Span) != operation)
            {
                throw new SimulationException($"Operation {operation}, acknowledged at {sequence}, is lost.");
            }
        }
    }
}
