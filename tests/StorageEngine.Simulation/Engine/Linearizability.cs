namespace Nephos.StorageEngine.Simulation.Engine;

internal enum OperationKind
{
    Put,
    Delete,
    Read,
}

internal enum OperationResult
{
    /// <summary>No answer, or one that says that nobody knows.</summary>
    Unknown,
    Done,
    ConditionFailed,

    /// <summary>An answer that says that nothing happened.</summary>
    Refused,
}

/// <summary>One operation on one key. Values are numbers of puts; 0 is "not there".</summary>
internal sealed class Operation
{
    public required string Key { get; init; }

    public required OperationKind Kind { get; init; }

    /// <summary>What a put writes; what a read read.</summary>
    public int Value { get; set; }

    /// <summary>The value that a put requires; null requires nothing.</summary>
    public int? Requires { get; init; }

    /// <summary>What a delete says was there.</summary>
    public bool Existed { get; set; }

    public long Invoked { get; init; }

    public long Answered { get; set; } = long.MaxValue;

    public OperationResult Result { get; set; }

    /// <summary>The value afterwards when the operation takes effect at a moment with this value; null when its answer could not be this.</summary>
    public int? Apply(int value) => (Kind, Result) switch
    {
        (OperationKind.Read, _) => Value == value ? value : null,
        (OperationKind.Put, OperationResult.Done) => Requires is null || Requires == value ? Value : null,
        (OperationKind.Put, OperationResult.ConditionFailed) => Requires is { } wanted && wanted != value ? value : null,
        (OperationKind.Put, _) => Requires is null || Requires == value ? Value : value,
        (OperationKind.Delete, OperationResult.Done) => Existed == (value != 0) ? 0 : null,
        _ => 0,
    };

    public override string ToString() =>
        $"[{Invoked}..{(Answered == long.MaxValue ? "" : Answered)}] {Kind} {Value}{(Requires is { } r ? $" if {r}" : "")} {Result}{(Kind == OperationKind.Delete ? $" existed {Existed}" : "")}";
}

/// <summary>
/// Looks for one order of the operations on a key that explains every answer and respects time: an operation takes effect between its
/// call and its answer; one without an answer at any time after its call, or never.
/// </summary>
/// <remarks>Follows all orders at once, one event at a time, as a set of (value, operations under way that took effect already).</remarks>
internal static class Linearizability
{
    private const int OpenMax = 64;

    /// <summary>What cannot be explained; null when everything can.</summary>
    public static string? Explain(IReadOnlyList<Operation> operations)
    {
        var events = operations
            .Where(o => o.Result != OperationResult.Refused && !(o.Kind == OperationKind.Read && o.Result == OperationResult.Unknown))
            .SelectMany(o => o.Result == OperationResult.Unknown
                ? new[] { (At: o.Invoked, IsCall: true, Operation: o) }
                : [(o.Invoked, true, o), (o.Answered, false, o)])
            .OrderBy(e => e.At);
        var open = new Operation?[OpenMax];
        var states = new HashSet<(int Value, ulong Effective)> { (0, 0) };
        foreach (var (_, isCall, operation) in events)
        {
            if (isCall)
            {
                var free = Array.IndexOf(open, null);
                if (free < 0)
                {
                    throw new SimulationException("Too many operations under way at once for the checker.");
                }

                open[free] = operation;
                continue;
            }

            var slot = Array.IndexOf(open, operation);
            var bit = 1UL << slot;
            var next = new HashSet<(int Value, ulong Effective)>();
            var seen = new HashSet<(int Value, ulong Effective)>(states);
            var work = new Stack<(int Value, ulong Effective)>(states);
            while (work.TryPop(out var state))
            {
                if ((state.Effective & bit) != 0)
                {
                    next.Add((state.Value, state.Effective & ~bit));
                    continue;
                }

                for (var other = 0; other < OpenMax; other++)
                {
                    if (open[other] is { } candidate && (state.Effective & (1UL << other)) == 0 && candidate.Apply(state.Value) is { } value
                        && seen.Add((value, state.Effective | (1UL << other))))
                    {
                        work.Push((value, state.Effective | (1UL << other)));
                    }
                }
            }

            if (next.Count == 0)
            {
                return $"{operation} cannot be explained after values {string.Join(",", states.Select(s => s.Value).Distinct())}; key {operation.Key}:\n"
                    + string.Join('\n', operations.Where(o => o.Invoked <= operation.Answered).TakeLast(40));
            }

            open[slot] = null;
            states = next;
        }

        return null;
    }
}
