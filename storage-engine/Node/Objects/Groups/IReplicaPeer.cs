using Nephos.Client.Transport;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

/// <summary>A replica of a group as its writer reaches it: in this process, or in another by the transport.</summary>
internal interface IReplicaPeer
{
    bool IsUsable { get; }

    /// <summary>Answers when what the answer says is durable. Requests made one after the other are taken in that order.</summary>
    /// <exception cref="IOException">It cannot be reached.</exception>
    /// <exception cref="ReplicaUnavailableException">Its device is gone, full or being replaced.</exception>
    ValueTask<ReplicaReply> HandleAsync(ReplicaRequest request);
}

/// <summary>The rows of a replica at one position, page by page.</summary>
internal interface IRowSource : IAsyncDisposable
{
    LogPosition Position { get; }

    /// <summary>The next page; empty at the end.</summary>
    ValueTask<ReadOnlyMemory<byte>> NextAsync();
}

/// <summary>A replica in another process.</summary>
internal sealed class RemoteReplica(IStorageChannel channel, int shard, ReplicaId id) : IReplicaPeer
{
    public bool IsUsable => true;

    public async ValueTask<ReplicaReply> HandleAsync(ReplicaRequest request)
    {
        var head = GroupCodec.Write(new CallWriter(128).Int32(shard).Guid(id.Value), request).Written;
        var reply = await channel.CallAsync(new StorageCall(GroupMethods.Handle, head));
        return GroupCodec.ReadReply(new CallReader(reply.Head));
    }
}
