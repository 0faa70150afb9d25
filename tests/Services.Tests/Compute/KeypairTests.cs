using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Nephos.Compute.Keypairs;
using Xunit;

namespace Nephos.Services.Tests.Compute;

public sealed class KeypairTests
{
    /// <summary>RFC 8032, section 7.1, tests 1 to 3.</summary>
    [Theory]
    [InlineData("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")]
    [InlineData("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")]
    [InlineData("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")]
    public void Ed25519_public_keys_are_those_of_the_standard(string seed, string publicKey) =>
        Assert.Equal(publicKey, Convert.ToHexStringLower(Ed25519.PublicKeyOf(Convert.FromHexString(seed))));

    /// <summary>As a real cloud answered it.</summary>
    [Fact]
    public void The_fingerprint_is_the_one_that_clients_know() => Assert.Equal(
        "4b:bc:f6:e7:03:47:b3:e6:06:22:20:a7:31:42:f0:0e",
        SshPublicKey.Fingerprint("ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBJdtxgQbceoi9GOp8V4ssXt+nm9rLGAonQ0fRR/MMMmaZSF5r8O2IAxcgB6VxDZjKm4SYN9cYvjKDPPgtQgKdFqRyDrwg8Z1Zl8jdpHMX00Gwsd9eJizEK5b2a5FJmkB/A=="));

    [Fact]
    public void A_made_rsa_key_fits_its_public_half()
    {
        var made = KeyMaker.Rsa();

        using var rsa = RSA.Create();
        rsa.ImportFromPem(made.PrivateKey);
        var parameters = rsa.ExportParameters(includePrivateParameters: false);
        var blob = new SshBlob().Text("ssh-rsa").Integer(parameters.Exponent!).Integer(parameters.Modulus!).ToArray();
        Assert.Equal(Convert.ToBase64String(blob), made.PublicKey.Split(' ')[1]);
        Assert.Equal(made.Fingerprint, SshPublicKey.Fingerprint(made.PublicKey));
    }

    [Fact]
    public void A_made_ed25519_key_carries_its_public_half_in_the_format_of_openssh()
    {
        var made = KeyMaker.Ed25519();

        var fields = PemEncoding.Find(made.PrivateKey);
        Assert.Equal("OPENSSH PRIVATE KEY", made.PrivateKey[fields.Label]);
        var file = Convert.FromBase64String(made.PrivateKey[fields.Base64Data]);
        var blob = Convert.FromBase64String(made.PublicKey.Split(' ')[1]);
        Assert.True(file.AsSpan().IndexOf(blob) > 0);
        Assert.Equal(0, (file.Length - (file.AsSpan().IndexOf(blob) + blob.Length + 4)) % 8);
    }

    [Fact]
    public void A_made_certificate_names_its_user_and_opens_with_its_key()
    {
        var made = KeyMaker.X509("someone", new DateTimeOffset(2026, 11, 23, 0, 0, 0, TimeSpan.Zero));

        using var bundle = X509CertificateLoader.LoadPkcs12(Convert.FromBase64String(made.PrivateKey), null);
        using var certificate = X509Certificate2.CreateFromPem(made.PublicKey);
        Assert.True(bundle.HasPrivateKey);
        Assert.Equal(("CN=someone", bundle.Thumbprint), (certificate.Subject, certificate.Thumbprint));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ssh-rsa")]
    [InlineData("ssh-rsa not-base64")]
    [InlineData("ssh-rsa AAAAB3NzaC1kc3M=")]
    [InlineData("ssh-unknown AAAAC3NzaC11bmtub3du")]
    [InlineData("ssh-rsa AAAA\nssh-rsa AAAA")]
    public async Task Something_that_is_no_key_is_refused(string publicKey)
    {
        await using var cloud = await ComputeCloud.StartAsync();
        ComputeCloud.Assert(await cloud.CallAsync(
            "POST", "/v2.1/os-keypairs", new JsonObject { ["keypair"] = new JsonObject { ["name"] = "k", ["public_key"] = publicKey } }), 400);
    }

    [Fact]
    public async Task Key_pairs_belong_to_their_user_and_answer_as_their_microversion_says()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        var body = new JsonObject { ["keypair"] = new JsonObject { ["name"] = "k" } };

        var old = await cloud.CallAsync("POST", "/v2.1/os-keypairs", body);
        ComputeCloud.Assert(old, 200);
        Assert.Equal(["name", "public_key", "fingerprint", "user_id", "private_key"], old.Json["keypair"]!.AsObject().Select(item => item.Key));
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/os-keypairs", body), 409);
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-keypairs/k", who: $"other:{ComputeWorld.Project}:member"), 404);
        ComputeCloud.Assert(await cloud.CallAsync("DELETE", "/v2.1/os-keypairs/k"), 202);
        ComputeCloud.Assert(await cloud.CallAsync("DELETE", "/v2.1/os-keypairs/k"), 404);

        body["keypair"]!["type"] = "x509";
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/os-keypairs", body), 400);
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/os-keypairs", body, "2.2"), 201);
        Assert.Equal("x509", (string)(await cloud.CallAsync("GET", "/v2.1/os-keypairs/k", version: "2.2")).Json["keypair"]!["type"]!);
        ComputeCloud.Assert(await cloud.CallAsync("DELETE", "/v2.1/os-keypairs/k", version: "2.2"), 204);
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/os-keypairs", body, "2.92"), 400);
    }
}
