using System.Text;
using Google.Protobuf;
using Mvccpb;
using Nephos.Kernel.State;

namespace Nephos.State.Etcd;

/// <summary>Between the keys of the store and those of etcd, which have a prefix of ours.</summary>
internal sealed class EtcdKeys(string prefix)
{
    /// <summary>What etcd takes for the end of a range that has none, and for the start of all keys.</summary>
    public static readonly ByteString Zero = ByteString.CopyFrom(0);

    private readonly byte[] _prefix = Encoding.UTF8.GetBytes(prefix);

    public ByteString Key(string key) => ByteString.CopyFromUtf8(prefix + key);

    public ByteString RangeStart(string fromInclusive) => prefix.Length + fromInclusive.Length == 0 ? Zero : Key(fromInclusive);

    public ByteString RangeEnd(string toExclusive)
    {
        if (toExclusive.Length > 0)
        {
            return Key(toExclusive);
        }

        var end = StateKeys.PrefixEnd(prefix);
        return end.Length == 0 ? Zero : ByteString.CopyFromUtf8(end);
    }

    public bool IsOurs(KeyValue stored) => stored.Key.Span.StartsWith(_prefix);

    public string KeyOf(KeyValue stored) => Encoding.UTF8.GetString(stored.Key.Span[_prefix.Length..]);

    public StateEntry Entry(KeyValue stored) => new(KeyOf(stored), stored.Value.Memory, stored.ModRevision, new LeaseId(stored.Lease));
}
