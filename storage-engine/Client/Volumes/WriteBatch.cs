namespace Nephos.Client.Volumes;

/// <summary>Writes that go to the replicas together, and the memory their data is in, which stays untouched until every replica is done with it.</summary>
/// <remarks>Guarded by the gate of the group it was submitted to.</remarks>
internal sealed class WriteBatch(int capacity)
{
    public BlockWrite[] Writes { get; } = new BlockWrite[capacity];

    public int Count { get; set; }

    /// <summary>Keeps the memory of the data from being freed.</summary>
    public object? Memory { get; set; }

    public Span<BlockWrite> Span => Writes.AsSpan(0, Count);

    /// <summary>The sequences of the batch, once it was submitted.</summary>
    public long First { get; set; }

    public long Last { get; set; }

    /// <summary>Whether it is known how it ended.</summary>
    public bool IsDone { get; set; }

    public ReplicaStatus Status { get; set; }

    /// <summary>Replicas that may still read the data.</summary>
    public int Readers { get; set; }

    /// <summary>Bytes of data.</summary>
    public long Bytes { get; private set; }

    public void Add(in BlockWrite write)
    {
        Writes[Count++] = write;
        if (write.Kind == BlockWriteKind.Data) Bytes += write.Length;
    }

    public void Reset()
    {
        Count = 0;
        Bytes = 0;
        IsDone = false;
        Status = ReplicaStatus.Ok;
    }
}
