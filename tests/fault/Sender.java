import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Base64;

/** The JDK's own client as a device would use it. A line in is `URL BODY`, a line out `STATUS BODY`, or `none`. */
public class Sender {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.split(" ");
            byte[] body = Base64.getDecoder().decode(parts[1]);
            HttpRequest request = HttpRequest.newBuilder(URI.create(parts[0]))
                .timeout(Duration.ofSeconds(20))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofByteArray(body))
                .build();
            try {
                HttpResponse<byte[]> answer = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
                System.out.println(answer.statusCode() + " " + Base64.getEncoder().encodeToString(answer.body()));
            } catch (java.io.IOException error) {
                System.out.println("none");
            }
            System.out.flush();
        }
    }
}
