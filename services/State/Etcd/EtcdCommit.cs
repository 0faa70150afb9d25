using Etcdserverpb;
using Google.Protobuf;
using Nephos.Kernel.State;
using static Etcdserverpb.Compare.Types;

namespace Nephos.State.Etcd;

/// <summary>A commit as an etcd transaction: compare, then write; else read what tells which comparison failed.</summary>
internal static class EtcdCommit
{
    public static TxnRequest Request(StateCommit commit, EtcdKeys keys)
    {
        var request = new TxnRequest();
        foreach (var range in commit.RangePreconditions)
        {
            var (from, to) = (keys.RangeStart(range.FromInclusive), keys.RangeEnd(range.ToExclusive));
            request.Compare.Add(new Compare
            {
                Key = from,
                RangeEnd = to,
                Target = CompareTarget.Mod,
                Result = CompareResult.Less,
                ModRevision = range.Revision + 1,
            });
            request.Failure.Add(Read(new RangeRequest { Key = from, RangeEnd = to, MinModRevision = range.Revision + 1, Limit = 1, KeysOnly = true }));
        }

        foreach (var precondition in commit.Preconditions)
        {
            var key = keys.Key(precondition.Key);
            request.Compare.Add(new Compare
            {
                Key = key, Target = CompareTarget.Mod, Result = CompareResult.Equal, ModRevision = precondition.Revision,
            });
            request.Failure.Add(Read(new RangeRequest { Key = key, KeysOnly = true }));
        }

        foreach (var put in commit.Puts)
        {
            request.Success.Add(new RequestOp
            {
                RequestPut = new PutRequest
                {
                    Key = keys.Key(put.Key), Value = UnsafeByteOperations.UnsafeWrap(put.Value), Lease = put.Lease.Value,
                },
            });
        }

        foreach (var key in commit.Deletes)
        {
            request.Success.Add(new RequestOp { RequestDeleteRange = new DeleteRangeRequest { Key = keys.Key(key) } });
        }

        return request;
    }

    public static CommitResult Result(StateCommit commit, TxnResponse response) => response.Succeeded
        ? new CommitResult(Succeeded: true, response.Header.Revision, FailedKey: null)
        : new CommitResult(Succeeded: false, response.Header.Revision, FailedKey(commit, response));

    private static RequestOp Read(RangeRequest range) => new() { RequestRange = range };

    private static string FailedKey(StateCommit commit, TxnResponse response)
    {
        var reads = response.Responses.Select(one => one.ResponseRange.Kvs).ToList();
        var ranges = commit.RangePreconditions.Count;
        for (var i = 0; i < ranges; i++)
        {
            if (reads[i].Count > 0)
            {
                return commit.RangePreconditions[i].FromInclusive;
            }
        }

        for (var i = 0; i < commit.Preconditions.Count; i++)
        {
            var found = reads[ranges + i];
            if ((found.Count == 0 ? 0 : found[0].ModRevision) != commit.Preconditions[i].Revision)
            {
                return commit.Preconditions[i].Key;
            }
        }

        throw new InvalidDataException("etcd says that a comparison failed, but all of them hold.");
    }
}
