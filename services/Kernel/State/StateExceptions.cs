namespace Nephos.Kernel.State;

/// <summary>The store cannot answer now. After a commit the outcome is unknown, unless it is a <see cref="StateFullException"/>.</summary>
public class StateUnavailableException(string message, Exception? innerException) : Exception(message, innerException);

/// <summary>The disk of the store has no room: nothing was written, reads go on, and writes work again once space is freed.</summary>
public sealed class StateFullException(string message) : StateUnavailableException(message, null);

/// <summary>Changes that a watcher asks for are no longer kept: list again, then watch from there.</summary>
public sealed class StateCompactedException(long oldestRevision)
    : Exception($"The history of the state store starts at revision {oldestRevision}: list again.")
{
    /// <summary>The first revision that can still be watched.</summary>
    public long OldestRevision { get; } = oldestRevision;
}

/// <summary>The lease expired, was revoked or never was.</summary>
public sealed class StateLeaseNotFoundException(LeaseId lease) : Exception($"Lease {lease} does not exist.")
{
    public LeaseId Lease { get; } = lease;
}

/// <summary>A transaction lost its race more often than it may try: gRPC code Aborted.</summary>
public sealed class StateConflictException(string key, int attempts)
    : Exception($"The transaction lost the race for '{key}' {attempts} times; read and try again.")
{
    public string Key { get; } = key;

    public int Attempts { get; } = attempts;
}

/// <summary>Another record of the table has the value of a unique index, or the key itself.</summary>
/// <remarks>A service catches it where it writes the record and answers with the fault of its own resource.</remarks>
public sealed class UniqueViolationException(string table, string index, string value)
    : Exception($"Table {table} has another record whose {index} is '{value}'.")
{
    /// <summary>The value of <see cref="Index"/> when the key of an inserted record exists.</summary>
    public const string KeyIndex = "key";

    public string Table { get; } = table;

    public string Index { get; } = index;

    public string Value { get; } = value;
}
