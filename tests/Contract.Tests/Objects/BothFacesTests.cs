using System.Globalization;
using System.Text;
using CsCheck;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>
/// One namespace behind two faces: whatever sequence of writes goes through either, both show what the model says: the same bytes, sizes, metadata,
/// order and rights.
/// </summary>
public sealed class BothFacesTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    private const int Sequences = 12;
    private const int StepsMax = 25;
    private static readonly string[] Keys = ["a", "a/b", "a//b", "a b", "é", "z%", "\U0001F600", "."];
    private static readonly int[] Sizes = [0, 1, 4095, 4096, 4097, 70_000];

    private enum Act
    {
        PutS3,
        PutSwift,
        PutMultipart,
        PutManifest,
        CopyS3,
        CopySwift,
        DeleteS3,
        DeleteSwift,
        PostSwift,
        Open,
        Close,
    }

    private sealed record Step(Act Act, int Key, int From, int Size, int Seed);

    private sealed record Stored(byte[] Content, string Color);

    [Fact]
    public void Both_faces_show_what_the_model_says()
    {
        var step = Gen.Select(Gen.Enum<Act>(), Gen.Int[0, Keys.Length - 1], Gen.Int[0, Keys.Length - 1], Gen.Int[0, Sizes.Length - 1], Gen.Int[1, 1000], (act, key, from, size, seed) =>
            new Step(act, key, from, Sizes[size], seed));
        var sequence = 0;
        // One at a time: the sequences share a server, and the clock stands still.
        step.List[1, StepsMax].Sample(steps => RunAsync($"box-{Interlocked.Increment(ref sequence)}", steps).GetAwaiter().GetResult(), iter: Sequences, threads: 1);
    }

    private async Task RunAsync(string box, List<Step> steps)
    {
        (await SwiftAsync("PUT", "/" + box)).Is(201);
        (await SwiftAsync("PUT", $"/{box}-segments")).Is(201);
        var model = new SortedDictionary<string, Stored>(Comparer<string>.Create((left, right) => Encoding.UTF8.GetBytes(left).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(right))));
        var isOpen = false;
        for (var number = 0; number < steps.Count; number++)
        {
            var step = steps[number];
            var (key, from) = (Keys[step.Key], Keys[step.From]);
            switch (step.Act)
            {
                case Act.Open or Act.Close:
                    isOpen = step.Act == Act.Open;
                    (await SwiftAsync("POST", "/" + box, null, null, ("X-Container-Read", isOpen ? ".r:*,.rlistings" : ""))).Is(204);
                    break;
                case Act.DeleteS3 or Act.DeleteSwift:
                    var deleted = step.Act == Act.DeleteS3 ? await S3Async("DELETE", PathOf(box, key)) : await SwiftAsync("DELETE", PathOf(box, key));
                    deleted.Is(step.Act == Act.DeleteS3 || model.ContainsKey(key) ? 204 : 404);
                    model.Remove(key);
                    break;
                case Act.PostSwift:
                    (await SwiftAsync("POST", PathOf(box, key), null, null, ("X-Object-Meta-Color", $"c{step.Seed}"))).Is(model.ContainsKey(key) ? 202 : 404);
                    if (model.TryGetValue(key, out var before))
                    {
                        model[key] = before with { Color = $"c{step.Seed}" };
                    }
                    break;
                case Act.CopyS3 or Act.CopySwift:
                    var copied = await CopyAsync(box, from, key, throughS3: step.Act == Act.CopyS3);
                    // S3 refuses a copy onto itself that changes nothing.
                    copied.Is(!model.ContainsKey(from) ? 404 : step.Act == Act.CopySwift ? 201 : from == key ? 400 : 200);
                    if (copied.Status is 200 or 201)
                    {
                        model[key] = model[from];
                    }
                    break;
                default:
                    model[key] = await PutAsync(box, key, step, number);
                    break;
            }
            await CompareAsync(box, key, model.GetValueOrDefault(key), isOpen);
        }
        await CompareListsAsync(box, model, isOpen);
    }

    private async Task<Stored> PutAsync(string box, string key, Step step, int number)
    {
        var (content, color) = (Bytes(step.Size, step.Seed), $"c{step.Seed}");
        switch (step.Act)
        {
            case Act.PutS3:
                (await S3Async("PUT", PathOf(box, key), content, null, ("x-amz-meta-color", color))).Is(200);
                break;
            case Act.PutSwift:
                (await SwiftAsync("PUT", PathOf(box, key), content, null, ("X-Object-Meta-Color", color))).Is(201);
                break;
            case Act.PutMultipart:
                var upload = (await S3Async("POST", PathOf(box, key) + "?uploads", null, null, ("x-amz-meta-color", color))).Is(200).Value("UploadId");
                var etag = (await S3Async("PUT", $"{PathOf(box, key)}?partNumber=7&uploadId={upload}", content)).Is(200)["ETag"];
                (await S3Async("POST", $"{PathOf(box, key)}?uploadId={upload}",
                    Utf8($"<CompleteMultipartUpload><Part><PartNumber>7</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"))).Is(200);
                break;
            default:
                // Segments of its own, which nothing changes later.
                content = [.. content, (byte)'!'];
                (await SwiftAsync("PUT", $"/{box}-segments/{number}", content)).Is(201);
                (await SwiftAsync("PUT", PathOf(box, key) + "?multipart-manifest=put",
                    Utf8($$"""[{"path":"/{{box}}-segments/{{number}}"},{"path":"/{{box}}-segments/{{number}}","range":"-1"}]"""), null, ("X-Object-Meta-Color", color))).Is(201);
                content = [.. content, (byte)'!'];
                break;
        }
        return new Stored(content, color);
    }

    private Task<Reply> CopyAsync(string box, string from, string key, bool throughS3) => throughS3
        ? S3Async("PUT", PathOf(box, key), null, null, ("x-amz-copy-source", PathOf(box, from)))
        : SwiftAsync("COPY", PathOf(box, from), null, null, ("Destination", PathOf(box, key)[1..]));

    private async Task CompareAsync(string box, string key, Stored? wanted, bool isOpen)
    {
        var path = PathOf(box, key);
        var (swift, s3) = (await SwiftAsync("GET", path), await S3Async("GET", path));
        if (wanted is null)
        {
            swift.Is(404);
            s3.Is(404);
            return;
        }
        Assert.Equal(wanted.Content, swift.Is(200).Body);
        Assert.Equal(wanted.Content, s3.Is(200).Body);
        Assert.Equal((wanted.Color, wanted.Color), (swift["X-Object-Meta-Color"], s3["x-amz-meta-color"]));
        Assert.Equal(swift["ETag"]!.Trim('"'), s3["ETag"]!.Trim('"'));
        Assert.Equal(wanted.Content.Length.ToString(CultureInfo.InvariantCulture), (await S3Async("HEAD", path)).Is(200)["Content-Length"]);
        if (wanted.Content.Length > 2)
        {
            var (first, last) = (wanted.Content.Length / 3, wanted.Content.Length / 2);
            var range = ("Range", $"bytes={first}-{last}");
            Assert.Equal(wanted.Content[first..(last + 1)], (await SwiftAsync("GET", path, null, null, range)).Is(206).Body);
            Assert.Equal(wanted.Content[first..(last + 1)], (await S3Async("GET", path, null, null, range)).Is(206).Body);
        }

        // The same people get in through both doors.
        var foreign = $"/{Project}%3A{path[1..]}";
        (await SwiftAsync("GET", path, null, Reader)).Is(200);
        (await S3Async("GET", path, null, Reader)).Is(200);
        (await SwiftAsync("PUT", path, [], Reader)).Is(403);
        (await S3Async("PUT", path, [], Reader)).Is(403);
        (await SwiftAsync("DELETE", path, null, Stranger)).Is(403);
        (await S3Async("DELETE", foreign, null, Stranger)).Is(403);
        (await SwiftAsync("GET", path, null, Stranger)).Is(isOpen ? 200 : 403);
        (await S3Async("GET", foreign, null, Stranger)).Is(isOpen ? 200 : 403);
        (await SwiftAsync("GET", path, null, "")).Is(isOpen ? 200 : 401);
        (await S3Async("GET", foreign, null, "")).Is(isOpen ? 200 : 403);
    }

    private async Task CompareListsAsync(string box, SortedDictionary<string, Stored> model, bool isOpen)
    {
        var swift = (await SwiftAsync("GET", $"/{box}?format=json")).Is(200).Array;
        var s3 = (await S3Async("GET", $"/{box}?list-type=2")).Is(200);
        Assert.Equal(model.Keys, swift.Select(item => (string)item!["name"]!));
        Assert.Equal(model.Keys, s3.Values("Key"));
        Assert.Equal(model.Values.Select(stored => (long)stored.Content.Length), swift.Select(item => (long)item!["bytes"]!));
        Assert.Equal(model.Values.Select(stored => stored.Content.Length.ToString(CultureInfo.InvariantCulture)), s3.Values("Size"));
        Assert.Equal(model.Count.ToString(CultureInfo.InvariantCulture), (await SwiftAsync("HEAD", "/" + box))["X-Container-Object-Count"]);
        (await SwiftAsync("GET", "/" + box, null, Stranger)).Is(!isOpen ? 403 : model.Count > 0 ? 200 : 204);
        (await S3Async("GET", $"/{Project}%3A{box}", null, Stranger)).Is(isOpen ? 200 : 403);
        var folded = (await SwiftAsync("GET", $"/{box}?format=json&delimiter=%2F")).Is(200).Array.Select(item => (string?)(item!["name"] ?? item["subdir"]));
        var s3Folded = (await S3Async("GET", $"/{box}?delimiter=%2F&list-type=2")).Is(200);
        Assert.Equal(folded.Order(StringComparer.Ordinal), s3Folded.Values("Key").Concat(s3Folded.Xml.Elements().Where(element => element.Name.LocalName == "CommonPrefixes").Select(element => element.Value)).Order(StringComparer.Ordinal));
    }

    private static string PathOf(string box, string key) => $"/{box}/{Uri.EscapeDataString(key).Replace("%2F", "/", StringComparison.Ordinal)}";
}
