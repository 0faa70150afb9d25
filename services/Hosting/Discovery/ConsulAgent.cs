using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Serialization;

namespace Nephos.Hosting.Discovery;

/// <summary>The few calls of Consul's HTTP API that discovery needs (developer.hashicorp.com/consul/api-docs: agent/service, health, features/blocking).</summary>
/// <param name="http">Its base address is that of the agent; the ACL token is among its headers.</param>
internal sealed class ConsulAgent(HttpClient http)
{
    /// <summary>How long the agent holds a query open; it adds up to a sixteenth.</summary>
    public static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(60);

    private const string IndexHeader = "X-Consul-Index";

    /// <exception cref="HttpRequestException">The agent does not answer or refuses.</exception>
    public async Task RegisterAsync(ConsulRegistration registration, CancellationToken cancellationToken)
    {
        using var response = await http.PutAsJsonAsync("v1/agent/service/register", registration, ConsulJson.Default.ConsulRegistration, cancellationToken);
        response.EnsureSuccessStatusCode();
    }

    /// <exception cref="HttpRequestException">The agent does not answer or refuses.</exception>
    public async Task DeregisterAsync(string id, CancellationToken cancellationToken)
    {
        using var response = await http.PutAsync($"v1/agent/service/deregister/{Uri.EscapeDataString(id)}", null, cancellationToken);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>The instances of a service whose checks pass, once they differ from what had the index, or the wait is over.</summary>
    /// <param name="service">Its name.</param>
    /// <param name="index">Of the last answer; 0 for one at once.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="HttpRequestException">The agent does not answer or refuses.</exception>
    public async Task<(IReadOnlyList<ConsulInstance> Instances, ulong Index)> FindHealthyAsync(string service, ulong index, CancellationToken cancellationToken)
    {
        var query = string.Create(CultureInfo.InvariantCulture,
            $"v1/health/service/{Uri.EscapeDataString(service)}?passing=true&index={index}&wait={(int)MaxWait.TotalSeconds}s");
        using var response = await http.GetAsync(query, cancellationToken);
        response.EnsureSuccessStatusCode();
        var instances = await response.Content.ReadFromJsonAsync(ConsulJson.Default.ConsulInstanceArray, cancellationToken) ?? [];
        var next = response.Headers.TryGetValues(IndexHeader, out var values)
            && ulong.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var told) ? told : 0;
        // An index that went backwards means that the agent lost its state: ask anew, as the documentation wants it.
        return (instances, next < index ? 0 : next);
    }
}

internal sealed record ConsulRegistration(
    [property: JsonPropertyName("ID")] string Id, string Name, string Address, int Port, IReadOnlyDictionary<string, string> Meta, ConsulCheck Check);

/// <summary>Either the address to ask over HTTP, or the one to connect to.</summary>
internal sealed record ConsulCheck(
    [property: JsonPropertyName("HTTP")] string? Http, [property: JsonPropertyName("TCP")] string? Tcp, string Interval, string Timeout,
    string DeregisterCriticalServiceAfter);

internal sealed record ConsulInstance(ConsulNode Node, ConsulService Service);

internal sealed record ConsulNode(string Address);

/// <summary>Without an address of its own the service is at that of its node.</summary>
internal sealed record ConsulService([property: JsonPropertyName("ID")] string Id, string? Address, int Port, IReadOnlyDictionary<string, string>? Meta);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ConsulRegistration))]
[JsonSerializable(typeof(ConsulInstance[]))]
internal sealed partial class ConsulJson : JsonSerializerContext;
