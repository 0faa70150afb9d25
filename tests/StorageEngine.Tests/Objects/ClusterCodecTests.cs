using System.Collections.Immutable;
using System.Text.Json;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Namespace;
using Nephos.Replication.Groups;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

/// <summary>What travels between the processes of a store comes out as it went in.</summary>
public sealed class ClusterCodecTests
{
    private static readonly ReplicaId Id = new(Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"));
    private static readonly ImmutableArray<LogEntry> Entries =
        [new LogEntry(new LogPosition(3, 7), new byte[] { 1, 2, 3 }), new LogEntry(new LogPosition(4, 8), ReadOnlyMemory<byte>.Empty)];

    public static TheoryData<string> Requests => [.. AllRequests.Select(r => r.GetType().Name)];

    public static TheoryData<string> Replies => [.. AllReplies.Select(r => r.GetType().Name)];

    private static ReplicaRequest[] AllRequests =>
    [
        new ReplicaRequest.Seal(5), new ReplicaRequest.Append(5, new LogPosition(2, 6), Entries, 4), new ReplicaRequest.Read(5, 9, Id), new ReplicaRequest.Confirm(5),
    ];

    private static ReplicaReply[] AllReplies =>
    [
        new ReplicaReply.Refused(5, 6), new ReplicaReply.Sealed(5, new LogPosition(4, 9), 8), new ReplicaReply.Confirmed(5), new ReplicaReply.Appended(5, 9),
        new ReplicaReply.Mismatch(5, 3), new ReplicaReply.Entries(5, Id, new LogPosition(2, 6), Entries), new ReplicaReply.Trimmed(5, Id, new LogPosition(1, 2)),
    ];

    [Theory]
    [MemberData(nameof(Requests))]
    public void A_request_to_a_replica_travels_whole(string kind)
    {
        var request = AllRequests.Single(r => r.GetType().Name == kind);
        var bytes = GroupCodec.Write(new CallWriter(), request).Written;
        var read = GroupCodec.ReadRequest(new CallReader(bytes));

        Assert.Equal(request.GetType(), read.GetType());
        Assert.Equal(bytes.ToArray(), GroupCodec.Write(new CallWriter(), read).Written.ToArray());
        Assert.Throws<InvalidDataException>(() => GroupCodec.ReadRequest(new CallReader(bytes[..^1])));
    }

    [Theory]
    [MemberData(nameof(Replies))]
    public void A_reply_of_a_replica_travels_whole(string kind)
    {
        var reply = AllReplies.Single(r => r.GetType().Name == kind);
        var bytes = GroupCodec.Write(new CallWriter(), reply).Written;
        var read = GroupCodec.ReadReply(new CallReader(bytes));

        Assert.Equal(reply.GetType(), read.GetType());
        Assert.Equal(bytes.ToArray(), GroupCodec.Write(new CallWriter(), read).Written.ToArray());
        Assert.Throws<InvalidDataException>(() => GroupCodec.ReadReply(new CallReader(bytes[..^1])));
    }

    [Fact]
    public void A_put_travels_with_all_its_fields()
    {
        var put = new PutObject
        {
            Bucket = new BucketName("a", "b\u0000/ü"),
            Object = new ObjectRecord
            {
                Key = "k\t🙂",
                SizeBytes = 5L << 40,
                ETag = "e",
                Modified = new DateTimeOffset(2030, 1, 2, 3, 4, 5, TimeSpan.Zero).AddTicks(7),
                Expires = DateTimeOffset.UnixEpoch,
                UserMetadata = RecordMetadata.Empty.Add("b", "1").Add("B", "2").Add("a-", ""),
                Payload = new Payload { LengthBytes = 9, Inline = new byte[] { 0, 255 }, Extents = [new Extent(new BlobId(ulong.MaxValue, 1), 9)] },
                Parts = [new PartSummary(1, 2, "x", "y")],
            },
            Conditions = new WriteConditions { ETagIn = ["p", "q"], ETagNotIn = default, Generation = ulong.MaxValue },
        };

        var bytes = ShardMethods.PutObject.Write(put);
        var read = JsonSerializer.Deserialize(bytes, NamespaceJson.Default.PutObject)!;

        Assert.Equal(put.Bucket, read.Bucket);
        Assert.Equal(put.Object.Key, read.Object.Key);
        Assert.Equal(put.Object.Modified, read.Object.Modified);
        Assert.Equal(put.Object.Expires, read.Object.Expires);
        Assert.Equal(["B", "a-", "b"], read.Object.UserMetadata.Keys);
        Assert.Equal(put.Object.Payload.Inline.ToArray(), read.Object.Payload.Inline.ToArray());
        Assert.Equal(put.Object.Payload.Extents, read.Object.Payload.Extents.AsEnumerable());
        Assert.Equal(put.Object.Parts, read.Object.Parts.AsEnumerable());
        Assert.Equal(["p", "q"], read.Conditions.ETagIn.AsEnumerable());
        Assert.Empty(read.Conditions.ETagNotIn);
        Assert.Equal(ulong.MaxValue, read.Conditions.Generation);
        Assert.Equal(bytes, ShardMethods.PutObject.Write(read));
    }

    [Fact]
    public void A_version_and_a_status_travel_as_results()
    {
        Outcome<DeleteOutcome> done = new DeleteOutcome(new VersionId(7, 8), true, false, true);
        var read = ShardMethods.DeleteObject.Read(JsonSerializer.SerializeToUtf8Bytes(done, NamespaceJson.Default.OutcomeDeleteOutcome));
        Assert.Equal(done, read);

        Outcome<ObjectRecord> none = EngineStatus.NoSuchKey;
        Assert.Equal(none, ShardMethods.GetObject.Read(JsonSerializer.SerializeToUtf8Bytes(none, NamespaceJson.Default.OutcomeObjectRecord)));
    }

    [Fact]
    public void Every_method_is_found_by_its_number()
    {
        Assert.Same(ShardMethods.GetAccount, ShardMethods.Find(ShardMethods.GetAccount.Number));
        Assert.Same(ShardMethods.ListChanges, ShardMethods.Find(ShardMethods.ListChanges.Number));
        Assert.Null(ShardMethods.Find((ushort)(ShardMethods.ListChanges.Number + 1)));
    }
}
