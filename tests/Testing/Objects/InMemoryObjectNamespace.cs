using System.Text;
using Nephos.Client.Objects;

namespace Nephos.Testing.Objects;

/// <summary>The namespace's contract in its simplest form: one lock, sorted dictionaries, no versions kept.</summary>
internal sealed class InMemoryObjectNamespace : IObjectNamespace
{
    private static readonly Comparer<string> Utf8 = Comparer<string>.Create(
        (left, right) => Encoding.UTF8.GetBytes(left).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(right)));

    private readonly Lock _gate = new();
    private readonly Dictionary<string, AccountRecord> _accounts = new(StringComparer.Ordinal);
    private readonly Dictionary<BucketName, Contents> _buckets = [];
    private readonly Dictionary<UploadId, (UploadRecord Record, SortedDictionary<int, PartRecord> Parts)> _uploads = [];
    private ulong _sequence;

    public ValueTask<Outcome<AccountRecord>> GetAccountAsync(string account, CancellationToken cancellationToken) => Locked<Outcome<AccountRecord>>(() =>
    {
        var mine = _buckets.Where(item => item.Key.Account == account).Select(item => item.Value).ToList();
        return _accounts.TryGetValue(account, out var record)
            ? record with { Buckets = mine.Count, Usage = new Usage(mine.Sum(bucket => bucket.Objects.Count), mine.Sum(bucket => bucket.Bytes), 0, 0) }
            : EngineStatus.NoSuchAccount;
    });

    public ValueTask<Outcome<AccountRecord>> UpdateAccountAsync(AccountRecord account, ulong? generation, CancellationToken cancellationToken) =>
        Locked<Outcome<AccountRecord>>(() =>
        {
            var current = _accounts.GetValueOrDefault(account.Name)?.Generation ?? 0;
            if (generation is { } wanted && wanted != current)
            {
                return EngineStatus.Conflict;
            }
            return _accounts[account.Name] = account with { Generation = current + 1 };
        });

    public ValueTask<EngineStatus> DeleteAccountAsync(string account, CancellationToken cancellationToken) => Locked(() =>
        _buckets.Keys.Any(bucket => bucket.Account == account) ? EngineStatus.AccountNotEmpty
        : _accounts.Remove(account) ? EngineStatus.Ok : EngineStatus.NoSuchAccount);

    public ValueTask<Outcome<BucketRecord>> CreateBucketAsync(BucketRecord bucket, CancellationToken cancellationToken) => Locked<Outcome<BucketRecord>>(() =>
    {
        if (_buckets.TryGetValue(bucket.Name, out var existing))
        {
            return new Outcome<BucketRecord>(EngineStatus.BucketExists, existing.Show());
        }
        _accounts.TryAdd(bucket.Name.Account, new AccountRecord { Name = bucket.Name.Account, Created = bucket.Created, Modified = bucket.Created, Generation = 1 });
        _buckets[bucket.Name] = new Contents(bucket with { Generation = 1 });
        return _buckets[bucket.Name].Show();
    });

    public ValueTask<Outcome<BucketRecord>> GetBucketAsync(BucketName bucket, CancellationToken cancellationToken) => Locked<Outcome<BucketRecord>>(() =>
        _buckets.TryGetValue(bucket, out var contents) ? contents.Show() : EngineStatus.NoSuchBucket);

    public ValueTask<Outcome<BucketRecord>> UpdateBucketAsync(BucketRecord bucket, ulong generation, CancellationToken cancellationToken) =>
        Locked<Outcome<BucketRecord>>(() =>
        {
            if (!_buckets.TryGetValue(bucket.Name, out var contents))
            {
                return EngineStatus.NoSuchBucket;
            }
            if (contents.Record.Generation != generation)
            {
                return EngineStatus.Conflict;
            }
            contents.Record = bucket with { Generation = generation + 1 };
            return contents.Show();
        });

    public ValueTask<EngineStatus> DeleteBucketAsync(BucketName bucket, CancellationToken cancellationToken) => Locked(() =>
        !_buckets.TryGetValue(bucket, out var contents) ? EngineStatus.NoSuchBucket
        : contents.Objects.Count > 0 ? EngineStatus.BucketNotEmpty
        : _buckets.Remove(bucket) ? EngineStatus.Ok : EngineStatus.NoSuchBucket);

    public ValueTask<Outcome<BucketPage>> ListBucketsAsync(ListBuckets request, CancellationToken cancellationToken) => Locked<Outcome<BucketPage>>(() =>
    {
        var (names, truncated) = Page(
            _buckets.Keys.Where(name => name.Account == request.Account).Select(name => name.Name),
            request.Prefix, request.Delimiter, request.Marker, request.EndMarker, request.Limit, request.Reverse);
        return new BucketPage(
            [.. names.Select(name => new BucketEntry(name.Name, name.IsPrefix ? null : _buckets[new BucketName(request.Account, name.Name)].Show()))],
            truncated, names.Count > 0 ? names[^1].Name : "");
    });

    public ValueTask<Outcome<ObjectRecord>> PutObjectAsync(PutObject request, CancellationToken cancellationToken) => Locked(() => Put(request));

    public ValueTask<Outcome<ObjectRecord>> GetObjectAsync(BucketName bucket, string key, VersionSelector version, CancellationToken cancellationToken) =>
        Locked<Outcome<ObjectRecord>>(() =>
            !_buckets.TryGetValue(bucket, out var contents) ? EngineStatus.NoSuchBucket
            : contents.Objects.TryGetValue(key, out var record) ? record : EngineStatus.NoSuchKey);

    public ValueTask<Outcome<ObjectRecord>> UpdateObjectAsync(UpdateObject request, CancellationToken cancellationToken) => Locked<Outcome<ObjectRecord>>(() =>
    {
        if (!_buckets.TryGetValue(request.Bucket, out var contents) || !contents.Objects.TryGetValue(request.Key, out var current))
        {
            return EngineStatus.NoSuchKey;
        }
        if (current.Generation != request.Generation)
        {
            return EngineStatus.Conflict;
        }
        return contents.Objects[request.Key] = request.Object with { Generation = current.Generation + 1, Payload = current.Payload };
    });

    public ValueTask<Outcome<DeleteOutcome>> DeleteObjectAsync(DeleteObject request, CancellationToken cancellationToken) => Locked<Outcome<DeleteOutcome>>(() =>
    {
        if (!_buckets.TryGetValue(request.Bucket, out var contents))
        {
            return EngineStatus.NoSuchBucket;
        }
        if (!Holds(request.Conditions, contents.Objects.GetValueOrDefault(request.Key)))
        {
            return EngineStatus.PreconditionFailed;
        }
        return new DeleteOutcome(default, false, false, contents.Objects.Remove(request.Key));
    });

    public ValueTask<Outcome<ObjectPage>> ListObjectsAsync(ListObjects request, CancellationToken cancellationToken) => Locked<Outcome<ObjectPage>>(() =>
    {
        if (!_buckets.TryGetValue(request.Bucket, out var contents))
        {
            return EngineStatus.NoSuchBucket;
        }
        var (names, truncated) = Page(
            contents.Objects.Keys, request.Prefix, request.Delimiter, request.Marker, request.EndMarker, request.Limit, request.Reverse);
        return new ObjectPage(
            [.. names.Select(name => new ListEntry(name.Name, name.IsPrefix ? null : contents.Objects[name.Name]))],
            truncated, names.Count > 0 ? names[^1].Name : "", null);
    });

    /// <summary>It keeps no changes, and says so.</summary>
    public ValueTask<Outcome<ChangePage>> ListChangesAsync(ListChanges request, CancellationToken cancellationToken) => Locked<Outcome<ChangePage>>(() =>
        _buckets.ContainsKey(request.Bucket) ? new ChangePage(0, Kept: 0, First: 1, Last: 0, []) : EngineStatus.NoSuchBucket);

    public ValueTask<Outcome<UploadRecord>> StartUploadAsync(StartUpload request, CancellationToken cancellationToken) => Locked<Outcome<UploadRecord>>(() =>
    {
        if (!_buckets.ContainsKey(request.Bucket))
        {
            return EngineStatus.NoSuchBucket;
        }
        var record = new UploadRecord
        {
            Id = new UploadId((++_sequence).ToString("x32", System.Globalization.CultureInfo.InvariantCulture)),
            Object = request.Object,
            Initiated = request.Now,
            Initiator = request.Initiator,
        };
        _uploads[record.Id] = (record, []);
        return record;
    });

    public ValueTask<Outcome<UploadRecord>> GetUploadAsync(BucketName bucket, string key, UploadId upload, CancellationToken cancellationToken) =>
        Locked<Outcome<UploadRecord>>(() => _uploads.TryGetValue(upload, out var found) ? found.Record : EngineStatus.NoSuchUpload);

    public ValueTask<Outcome<PartRecord>> PutPartAsync(BucketName bucket, string key, UploadId upload, PartRecord part, CancellationToken cancellationToken) =>
        Locked<Outcome<PartRecord>>(() =>
            !_uploads.TryGetValue(upload, out var found) ? EngineStatus.NoSuchUpload : (found.Parts[part.Number] = part));

    public ValueTask<Outcome<PartPage>> ListPartsAsync(
        BucketName bucket, string key, UploadId upload, int numberMarker, int limit, CancellationToken cancellationToken) => Locked<Outcome<PartPage>>(() =>
    {
        if (!_uploads.TryGetValue(upload, out var found))
        {
            return EngineStatus.NoSuchUpload;
        }
        var after = found.Parts.Values.Where(part => part.Number > numberMarker).ToList();
        return new PartPage([.. after.Take(limit)], after.Count > limit);
    });

    public ValueTask<Outcome<ObjectRecord>> CompleteUploadAsync(CompleteUpload request, CancellationToken cancellationToken) => Locked<Outcome<ObjectRecord>>(() =>
    {
        if (!_uploads.TryGetValue(request.Upload, out var found))
        {
            return EngineStatus.NoSuchUpload;
        }
        if (found.Record.Completed is { } completed)
        {
            return completed;
        }
        var bytes = new MemoryStream();
        foreach (var (number, etag) in request.Parts)
        {
            if (!found.Parts.TryGetValue(number, out var part) || part.ETag != etag)
            {
                return EngineStatus.InvalidPart;
            }
            bytes.Write(part.Payload.Inline.Span);
        }
        var outcome = Put(new PutObject
        {
            Bucket = request.Bucket,
            Conditions = request.Conditions,
            Object = request.Object with
            {
                Key = request.Key,
                SizeBytes = bytes.Length,
                Payload = new Payload { LengthBytes = bytes.Length, Inline = bytes.ToArray() },
                Parts = [.. request.Parts.Select(part => new PartSummary(part.Number, found.Parts[part.Number].SizeBytes, part.ETag, ""))],
            },
        });
        if (outcome.IsOk)
        {
            _uploads[request.Upload] = (found.Record with { Completed = outcome.Value }, found.Parts);
        }
        return outcome;
    });

    public ValueTask<EngineStatus> AbortUploadAsync(BucketName bucket, string key, UploadId upload, CancellationToken cancellationToken) =>
        Locked(() => _uploads.Remove(upload) ? EngineStatus.Ok : EngineStatus.NoSuchUpload);

    public ValueTask<Outcome<UploadPage>> ListUploadsAsync(ListUploads request, CancellationToken cancellationToken) => Locked<Outcome<UploadPage>>(() =>
        new UploadPage([.. _uploads.Values.Where(upload => upload.Record.Completed is null).Select(upload => new UploadEntry(upload.Record.Object.Key, upload.Record))], false, "", ""));

    private Outcome<ObjectRecord> Put(PutObject request)
    {
        if (!_buckets.TryGetValue(request.Bucket, out var contents))
        {
            return EngineStatus.NoSuchBucket;
        }
        var current = contents.Objects.GetValueOrDefault(request.Object.Key);
        if (!Holds(request.Conditions, current))
        {
            return EngineStatus.PreconditionFailed;
        }
        var quota = contents.Record.Quota;
        if (contents.Bytes - (current?.SizeBytes ?? 0) + request.Object.SizeBytes > quota.BytesMax ||
            contents.Objects.Count + (current is null ? 1 : 0) > quota.ObjectsMax)
        {
            return EngineStatus.QuotaExceeded;
        }
        return contents.Objects[request.Object.Key] = request.Object with
        {
            Version = new VersionId(++_sequence, 0),
            IsNullVersion = true,
            IsLatest = true,
            Generation = (current?.Generation ?? 0) + 1,
        };
    }

    private static bool Holds(WriteConditions conditions, ObjectRecord? current) =>
        !(conditions.MustNotExist && current is not null) &&
        !(conditions.MustExist && current is null) &&
        (conditions.ETagIn.IsDefaultOrEmpty || (current is not null && conditions.ETagIn.Contains(current.ETag))) &&
        (conditions.ETagNotIn.IsDefaultOrEmpty || current is null || !conditions.ETagNotIn.Contains(current.ETag)) &&
        (conditions.Generation is not { } generation || generation == (current?.Generation ?? 0));

    private static (List<(string Name, bool IsPrefix)> Names, bool Truncated) Page(
        IEnumerable<string> keys, string prefix, string delimiter, string marker, string endMarker, int limit, bool reverse)
    {
        var entries = keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal))
            .Select(key =>
            {
                var at = delimiter.Length == 0 ? -1 : key.IndexOf(delimiter, prefix.Length, StringComparison.Ordinal);
                return at < 0 ? (Name: key, IsPrefix: false) : (Name: key[..(at + delimiter.Length)], IsPrefix: true);
            })
            .Distinct()
            .Order(Comparer<(string Name, bool IsPrefix)>.Create((left, right) => (reverse ? -1 : 1) * Utf8.Compare(left.Name, right.Name)))
            .Where(entry => (marker.Length == 0 || (reverse ? Utf8.Compare(entry.Name, marker) < 0 : Utf8.Compare(entry.Name, marker) > 0)) &&
                (endMarker.Length == 0 || (reverse ? Utf8.Compare(entry.Name, endMarker) > 0 : Utf8.Compare(entry.Name, endMarker) < 0)))
            .ToList();
        return ([.. entries.Take(limit)], entries.Count > limit);
    }

    private ValueTask<T> Locked<T>(Func<T> body)
    {
        lock (_gate)
        {
            return ValueTask.FromResult(body());
        }
    }

    private sealed class Contents(BucketRecord record)
    {
        public BucketRecord Record { get; set; } = record;

        public SortedDictionary<string, ObjectRecord> Objects { get; } = new(Utf8);

        public long Bytes => Objects.Values.Sum(found => found.SizeBytes);

        public BucketRecord Show() => Record with { Usage = new Usage(Objects.Count, Bytes, 0, 0) };
    }
}
