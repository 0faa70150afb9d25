using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Http;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.S3;
using Nephos.ObjectStorage.Swift;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>What others were broken by, tried on both faces. More of it is where the parsers are tested (signatures, chunks, forms).</summary>
public sealed class SecurityTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    [Theory]
    [InlineData("x-amz-copy-source", "/box/secret")]
    [InlineData("x-amz-acl", "public-read")]
    [InlineData("x-amz-meta-a", "b")]
    [InlineData("x-amz-tagging", "a=b")]
    public async Task An_unsigned_amz_header_on_a_presigned_request_is_refused(string name, string value)
    {
        await S3Async("PUT", "/box");
        await S3Async("PUT", "/box/secret", Utf8("secret"));
        var target = Presign("PUT", "/box/upload", Member);

        Assert.Equal("AccessDenied", (await SendAsync("PUT", target, [], "s3.localhost", [(name, value)])).Is(403).Code);
        (await S3Async("GET", "/box/upload")).Is(404);
        (await SendAsync("PUT", target, Utf8("x"), "s3.localhost", [])).Is(200);
        var signed = Presign("PUT", "/box/upload", Member, headers: new Dictionary<string, string> { [name] = value });
        (await SendAsync("PUT", signed, Utf8("x"), "s3.localhost", [(name, value)])).Is(200);
    }

    [Theory]
    [InlineData("X-Object-Sysmeta-Slo-Etag", "e")]
    [InlineData("X-Container-Sysmeta-A", "b")]
    [InlineData("X-Backend-Storage-Policy-Index", "1")]
    [InlineData("X-Backend-Allow-Reserved-Names", "true")]
    [InlineData("X-Container-Host", "127.0.0.1:1")]
    [InlineData("X-Container-Device", "sda")]
    [InlineData("X-Static-Large-Object", "True")]
    [InlineData("X-Timestamp", "1.00000")]
    [InlineData("X-Copy-Of", "box/key")]
    public async Task An_internal_header_of_a_client_means_nothing_on_either_face(string name, string value)
    {
        await SwiftAsync("PUT", "/box", null, null, (name, value));
        (await SwiftAsync("PUT", "/box/key", Utf8("x"), null, (name, value))).Is(201);
        (await S3Async("PUT", "/box/other", Utf8("x"), null, (name, value))).Is(200);

        foreach (var path in new[] { "/box/key", "/box/other" })
        {
            var got = (await SwiftAsync("GET", path, null, null, (name, value))).Is(200);
            Assert.Equal("x", got.Text);
            Assert.DoesNotContain(got.Headers, header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase) && header.Value == value);
        }
    }

    [Theory]
    [InlineData("5\r\n01")]
    [InlineData("5\r\n01234")]
    [InlineData("5\r\n01234\r\n")]
    [InlineData("")]
    [InlineData("5")]
    public async Task A_chunked_body_that_is_cut_ends_the_request(string body)
    {
        await S3Async("PUT", "/box");
        var signed = Sign("PUT", "/box/key", Member, [("x-amz-decoded-content-length", "5")], "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        using var client = new TcpClient();
        await client.ConnectAsync(Cloud.Address);
        var head = $"PUT /box/key HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: {Math.Max(1, body.Length)}\r\n{string.Concat(signed.Headers.Select(header => $"{header.Name}: {header.Value}\r\n"))}\r\n";
        await client.GetStream().WriteAsync(Utf8(head + (body.Length == 0 ? "x" : body)));

        var answer = new byte[4096];
        var read = await client.GetStream().ReadAsync(answer).AsTask().WaitAsync(TimeSpan.FromMinutes(1));

        Assert.StartsWith("HTTP/1.1 400", Encoding.ASCII.GetString(answer, 0, read), StringComparison.Ordinal);
        (await S3Async("GET", "/box/key")).Is(404);
    }

    [Theory]
    [InlineData("/box?delete")]
    [InlineData("/box/key?uploadId=0&partNumber=1")]
    [InlineData("/box?tagging")]
    [InlineData("/box?lifecycle")]
    [InlineData("/box?acl")]
    public async Task A_document_that_is_too_large_is_refused_and_not_read_in_part(string target)
    {
        await S3Async("PUT", "/box");
        var method = target.Contains("delete", StringComparison.Ordinal) || target.Contains("uploadId", StringComparison.Ordinal) ? "POST" : "PUT";
        // Sound as far as it is read, and more than two mebibytes of it.
        var document = Utf8("<Delete><Object><Key>a</Key></Object></Delete>" + new string(' ', (2 << 20) + 1));

        Assert.Equal("MaxMessageLengthExceeded", (await S3Async(method, target, document)).Is(400).Code);
    }

    [Theory]
    [InlineData("?delete", "<Delete><Object><Key>", "</Key></Object></Delete>")]
    [InlineData("?tagging", "<Tagging><TagSet><Tag><Key>", "</Key></Tag></TagSet></Tagging>")]
    [InlineData("?acl", "<AccessControlPolicy>", null)]
    public async Task A_document_that_is_nested_for_its_own_sake_is_refused(string query, string head, string? tail)
    {
        // Walking such a tree would end the stack, and with it the process; naming all elements that are not closed takes minutes.
        const int Depth = 200_000;
        await S3Async("PUT", "/box");
        var document = head + string.Concat(Enumerable.Repeat("<a>", Depth)) + (tail is null ? "" : string.Concat(Enumerable.Repeat("</a>", Depth)) + tail);
        var started = Stopwatch.GetTimestamp();

        Assert.Equal("MalformedXML", (await S3Async(query == "?delete" ? "POST" : "PUT", "/box" + query, Utf8(document))).Is(400).Code);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(20));
        (await S3Async("HEAD", "/box")).Is(200);
    }

    public static TheoryData<string, Action<string>> Grammars => new()
    {
        { "bytes=0-1,", text => ByteRanges.Parse("bytes=" + text, 1000) },
        { "application/json;q=0.1,", text => SwiftListing.FormatOf(text) },
        { ".r:-a.b,.r:*,", text => Ignore(() => SwiftAcl.Normalize(text, write: false)) },
        { "p:u,*:*,", text => SwiftAcl.Grants(text, null) },
        { "*a*", text => S3Policy.Like(new string('a', 2000) + "b", text) },
        { "a=b&", text => Ignore(() => S3Tags.Read(text).Count()) },
        { "%41%", text => Ignore(() => SwiftPath.Decode(text)) },
        { "\"e\", ", text => _ = text.Split(',', 128) },
        { "Credential=a/b, ", text => Ignore(() => SignatureV4.Read(Request("AWS4-HMAC-SHA256 " + text), S3Target.Parse("/", "localhost", []), DateTimeOffset.UnixEpoch)) },
        { "a/", text => Ignore(() => S3Target.Parse("/" + text, "localhost", [])) },
    };

    [Theory]
    [MemberData(nameof(Grammars))]
    public void A_header_of_any_length_is_read_in_time_that_grows_with_it(string piece, Action<string> read)
    {
        // Sixteen times the text may take sixteen times as long and some more; what grows with the square takes 256 times.
        var (shorter, longer) = (string.Concat(Enumerable.Repeat(piece, 2_000)), string.Concat(Enumerable.Repeat(piece, 32_000)));
        read(shorter);

        var (first, second) = (Best(() => read(shorter)), Best(() => read(longer)));

        Assert.True(second < TimeSpan.FromMilliseconds(20) || second < first * 90, $"{first.TotalMilliseconds} ms became {second.TotalMilliseconds} ms.");

        static TimeSpan Best(Action action) => Enumerable.Range(0, 5).Min(_ =>
        {
            var started = Stopwatch.GetTimestamp();
            action();
            return Stopwatch.GetElapsedTime(started);
        });
    }

    [Theory]
    [InlineData("..", "..")]
    [InlineData("../x", "../x")]
    [InlineData("a/../b", "a/../b")]
    [InlineData("%2e%2e/%2E%2E/x", "../../x")]
    [InlineData("./x", "./x")]
    [InlineData("/x", "/x")]
    [InlineData("a//b///", "a//b///")]
    [InlineData("%252e%252e", "%2e%2e")]
    [InlineData("a%5c..%5cb", "a\\..\\b")]
    [InlineData("%E2%80%8F%EF%BB%BF", "\u200f\ufeff")]
    [InlineData("con%3Faux%23nul", "con?aux#nul")]
    [InlineData("%01%1F%7F", "\u0001\u001f\u007f")]
    public async Task A_name_with_a_trick_in_it_stays_that_name_on_both_faces(string raw, string name)
    {
        await S3Async("PUT", "/box");
        await S3Async("PUT", "/box/bystander", Utf8("b"));
        // S3 signs a path that is encoded once and in one way.
        var canonical = "/box/" + S3Target.Escape(name, keepSlash: true);

        (await SwiftAsync("PUT", "/box/" + raw, Utf8(name))).Is(201);
        Assert.Equal(name, (await S3Async("GET", canonical)).Is(200).Text);
        (await S3Async("DELETE", canonical)).Is(204);
        (await SwiftAsync("GET", "/box/" + raw)).Is(404);
        (await S3Async("PUT", canonical, Utf8(name))).Is(200);
        Assert.Equal(name, (await SwiftAsync("GET", "/box/" + raw)).Is(200).Text);
        Assert.Equal(2, (await S3Async("GET", "/box?list-type=2")).Is(200).Text.Split("<Key>").Length - 1);
        (await S3Async("POST", canonical + "?uploads")).Is(200);
        Assert.Equal(new[] { name, "bystander" }.Order(StringComparer.Ordinal),
            (await SwiftAsync("GET", "/box?format=json")).Array.Select(item => (string)item!["name"]!).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("a%00b", 412)] // NUL
    [InlineData("%c0%ae%c0%ae/x", 412)] // An overlong "..".
    [InlineData("%e0%80%af", 412)]
    [InlineData("%ed%a0%80", 412)] // Half of a surrogate pair.
    [InlineData("%f8%88%80%80%80", 412)]
    public async Task A_name_that_is_no_text_is_refused_on_both_faces(string raw, int status)
    {
        await S3Async("PUT", "/box");

        Assert.Contains((await SwiftAsync("PUT", "/box/" + raw, Utf8("x"))).Status, new[] { status, 400 });
        Assert.Contains((await S3Async("PUT", "/box/" + raw, Utf8("x"))).Status, new[] { 400, 403 });
        (await SwiftAsync("GET", "/box")).Is(204);
    }

    [Theory]
    [InlineData(1024, 1, 201)]
    [InlineData(1025, 1, 400)]
    [InlineData(512, 2, 201)]
    [InlineData(513, 2, 400)]
    public async Task A_name_has_at_most_1024_bytes_however_many_characters(int count, int bytesEach, int status)
    {
        await S3Async("PUT", "/box");
        var name = string.Concat(Enumerable.Repeat(bytesEach == 1 ? "k" : "é", count));

        (await SwiftAsync("PUT", "/box/" + Uri.EscapeDataString(name), Utf8("x"))).Is(status);
        (await S3Async("PUT", "/box/" + Uri.EscapeDataString(name), Utf8("x"))).Is(status == 201 ? 200 : status);
    }

    [Theory]
    [InlineData("%41", "A")]
    [InlineData("100%", "100%")]
    [InlineData("%4", "%4")]
    [InlineData("%zz%20", "%zz ")]
    [InlineData("\U0001F600%20\U0001F600", "\U0001F600 \U0001F600")]
    [InlineData("%F0%9F%98%80", "\U0001F600")]
    public void What_is_no_escape_stays_as_it_is(string text, string decoded) => Assert.Equal(decoded, SwiftPath.Decode(text));

    [Theory]
    [InlineData("[{\"path\":\"/box/\\ud800\"}]")]
    [InlineData("[{\"\\ud800\":\"/box/key\"}]")]
    [InlineData("[{\"path\":\"/box/key\",\"path\":\"/box/key\"}]")]
    [InlineData("[{\"path\":\"/box/\u00ff\"}]")]
    [InlineData("[[[[[[[[[[[[]]]]]]]]]]]]")]
    public async Task A_manifest_that_is_no_sound_json_is_a_client_error(string json)
    {
        await SwiftAsync("PUT", "/box");

        // Latin-1 makes of the letter beyond ASCII a byte that is no UTF-8.
        (await SwiftAsync("PUT", "/box/big?multipart-manifest=put", Encoding.Latin1.GetBytes(json))).Is(400);
    }

    [Fact]
    public async Task An_archive_with_a_time_out_of_every_range_is_malformed()
    {
        const int AccessTime = 345, Checksum = 148;
        var archive = new byte[2048];
        using (var stream = new MemoryStream(archive))
        using (var writer = new System.Formats.Tar.TarWriter(stream, System.Formats.Tar.TarEntryFormat.Gnu, leaveOpen: true))
        {
            writer.WriteEntry(new System.Formats.Tar.GnuTarEntry(System.Formats.Tar.TarEntryType.RegularFile, "name"));
        }
        "77777777777"u8.CopyTo(archive.AsSpan(AccessTime));
        archive[AccessTime] = 0x80;
        archive.AsSpan(AccessTime + 1, 11).Fill(0x7F);
        archive.AsSpan(Checksum, 8).Fill((byte)' ');
        Encoding.ASCII.GetBytes(Convert.ToString(archive.AsSpan(0, 512).ToArray().Sum(value => value), 8).PadLeft(6, '0') + "\0 ").CopyTo(archive, Checksum);
        await SwiftAsync("PUT", "/box");

        var answer = await SwiftAsync("PUT", "/box?extract-archive=tar", archive, null, ("Accept", "application/json"));

        Assert.Contains("400 Bad Request", answer.Is(200).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_prefix_that_is_written_in_another_way_names_nothing()
    {
        await SwiftAsync("PUT", "/box");

        (await SendAsync("GET", $"/%6Fbject/v1/AUTH_{Project}/box", null, null, [("X-Auth-Token", Member)])).Is(404);
        (await SendAsync("GET", $"/%6Fbject/v1/AUTH_x/object/v1/AUTH_{Project}/box", null, null, [("X-Auth-Token", Member)])).Is(404);
    }

    [Fact]
    public async Task Text_beyond_ascii_in_metadata_comes_back_on_both_faces()
    {
        await SwiftAsync("PUT", "/box");
        (await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Object-Meta-Color", "grün 漢 \U0001F600"))).Is(201);

        Assert.Equal("grün 漢 \U0001F600", (await SwiftAsync("GET", "/box/key")).Is(200)["X-Object-Meta-Color"]);
        Assert.Equal("grün 漢 \U0001F600", (await S3Async("GET", "/box/key")).Is(200)["x-amz-meta-color"]);
    }

    private static HttpRequest Request(string authorization)
    {
        var http = new DefaultHttpContext();
        http.Request.Headers.Authorization = authorization;
        return http.Request;
    }

    /// <summary>A text that is refused is read as well.</summary>
    private static void Ignore<T>(Func<T> read)
    {
        try
        {
            _ = read();
        }
        catch (Exception fault) when (fault is S3Fault or SwiftFault)
        {
        }
    }
}
