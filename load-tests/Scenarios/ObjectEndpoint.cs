using Nephos.LoadTests.Running;

namespace Nephos.LoadTests.Scenarios;

/// <summary>An object store under load: Nephos, or a peer beside it. Containers are made and removed below <see cref="BaseUrl"/>.</summary>
/// <param name="Label">As reports show it.</param>
/// <param name="Authorize">Gives a request what proves who sends it; the last thing done to it.</param>
internal sealed record ObjectEndpoint(string Label, string Face, string BaseUrl, Action<HttpRequestMessage> Authorize, IProcessorTime? Server)
{
    public static ObjectEndpoint Of(Target target, string face) => face switch
    {
        "swift" => Swift("nephos", target.SwiftUrl, target.Token, target.Process),
        "s3" => S3("nephos", target.S3Url, target.Ec2.Access, target.Ec2.Secret, target.Region, target.Process),
        _ => throw new ArgumentException($"There is no face '{face}'; s3 and swift are."),
    };

    public static ObjectEndpoint S3(string label, string url, string access, string secret, string region, IProcessorTime? server)
    {
        var signer = new AwsSigner(access, secret, region);
        return new ObjectEndpoint(label, "s3", url.TrimEnd('/'), request => signer.Sign(request, TimeProvider.System.GetUtcNow()), server);
    }

    /// <summary>A Swift with version 1 authentication: asks it for a token and the place of the account.</summary>
    public static async Task<ObjectEndpoint> SwiftAsync(
        string label, HttpClient http, string authUrl, string user, string key, IProcessorTime? server, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, authUrl);
        request.Headers.Add("X-Auth-User", user);
        request.Headers.Add("X-Auth-Key", key);
        using var response = await http.SendAsync(request, cancellationToken);
        response.EnsureSuccessStatusCode();
        return Swift(label, response.Headers.GetValues("X-Storage-Url").First(), response.Headers.GetValues("X-Auth-Token").First(), server);
    }

    private static ObjectEndpoint Swift(string label, string url, string token, IProcessorTime? server) =>
        new(label, "swift", url.TrimEnd('/'), request => request.Headers.Add("X-Auth-Token", token), server);
}
